"""The page is legible: text stands out in dark and light, and names keep to their cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.browser.conftest import Opener
from tests.browser.runs import complete, written

CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (text) => { // of any colour that a style may have
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].map((part) => part / 255);
  };
  const over = (front, back) => front.slice(0, 3).map((part, k) => part * front[3] + back[k] * (1 - front[3]));
  const light = (colour) => {
    const [r, g, b] = colour.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((back, front) => over(front, back), [1, 1, 1]);
  };
  const poor = new Map();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (texts.nextNode()) {
    const one = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !one.checkVisibility() || one.closest("script, style, option, title, .unseen")) continue;
    const style = getComputedStyle(one), drawn = one.namespaceURI.endsWith("svg");
    const back = behind(one), front = over(rgba(drawn ? style.fill : style.color), back);
    const [low, high] = [light(front), light(back)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    seen++;
    if (ratio < 4.5) poor.set(`${one.tagName}.${one.className.baseVal ?? one.className}`, [ratio.toFixed(2), texts.currentNode.textContent.trim().slice(0, 40)]);
  }
  return [seen, [...poor]];
}"""  # noqa: E501


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_what_is_behind_it(
    scheme: str, tmp_path: Path, view: Opener
) -> None:
    opened = view(written(tmp_path, complete(4)), color_scheme=scheme)
    opened.eval("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    opened.eval("document.querySelectorAll('main > *').forEach((one) => {"
              " one.style.contentVisibility = 'visible'; })")  # fmt: skip
    opened.settled("document.querySelector('#scatter-plot .main-svg')")
    seen, poor = opened.eval(CONTRAST)
    assert seen > 500 and poor == []


@pytest.mark.parametrize("width", [390, 1280])
def test_no_name_runs_over_what_stands_beside_it(width: int, tmp_path: Path, view: Opener) -> None:
    names = ("main", "attention-wide-warmup", "20261122T2001-calm-newt", "x" * 60)
    named = [replace(run, name=name) for run, name in zip(complete(4), names, strict=True)]
    opened = view(written(tmp_path, named), width=width)
    over = opened.eval(
        """() => {
          const over = [], range = document.createRange();
          for (const cell of document.querySelectorAll("th, td")) {
            if (!cell.checkVisibility()) continue;
            const edge = cell.getBoundingClientRect().right + 1;
            const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) {
              if (texts.currentNode.parentElement.closest(".unseen")) continue;
              range.selectNodeContents(texts.currentNode);
              const parts = [...range.getClientRects()];
              if (parts.some((part) => part.width > 1 && part.right > edge)) over.push(cell.innerText);
            }
          }
          return over;
        }"""  # noqa: E501
    )
    assert over == []
