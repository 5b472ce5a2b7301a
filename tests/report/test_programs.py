"""Scripts and data in a page: what may run, and data that cannot leave its element."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import math
from pathlib import Path

import pytest

from geocore.report.programs import Script, plotly, policy, script_json, scripts_of


def test_a_policy_names_each_script_by_its_digest() -> None:
    scripts = [Script("a.js", "let a = 1;"), Script("b.js", "let b = 'é';")]
    told = [base64.b64encode(hashlib.sha256(s.text.encode()).digest()).decode() for s in scripts]
    assert policy(scripts) == (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        "img-src data: blob:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{told[0]}' 'sha256-{told[1]}'"
    )
    assert "script-src" not in policy([])
    assert policy([]).startswith("default-src 'none'")


def test_scripts_that_are_there_in_order_and_safe_between_their_tags(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_bytes(b"let a = '</script><!-- </SCRIPT>';\r\n")
    (tmp_path / "b.js").write_text("let b;")
    found = scripts_of(tmp_path, ["b.js", "none.js", "a.js"])
    assert [script.name for script in found] == ["b.js", "a.js"]
    assert found[1].text == "let a = '<\\/script><\\!-- <\\/SCRIPT>';\n"


@pytest.mark.parametrize("evil", ["</script>", "<!--", "&amp;", "\u2028", "\u2029", "<script>"])
def test_data_means_nothing_to_a_parser_and_is_read_back(evil: str) -> None:
    value = {evil: [evil, 1, 0.5, None, True]}
    told = script_json(value)
    assert not set("<>&\u2028\u2029") & set(told)
    shown = evil.replace("\u2028", "\\u2028").replace(
        "\u2029", "\\u2029"
    )  # as everywhere on a page
    assert json.loads(told) == {shown: [shown, 1, 0.5, None, True]}


def test_characters_that_act_are_told_as_what_they_are() -> None:
    assert json.loads(script_json("a\x1b[31m\udcff\u202e")) == "a\\x1b[31m\\udcff\\u202e"
    with pytest.raises(ValueError, match="JSON"):
        script_json(math.nan)


def test_plotly_s_program_is_what_its_package_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    script = plotly()
    assert script is not None
    assert script.name == "plotly.min.js"
    assert len(script.text) > 1_000_000
    assert "</script" not in script.text.lower()
    assert "<!--" not in script.text
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert plotly() is None
