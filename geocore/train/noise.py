"""Dropout of a share of a batch: what the samples would draw if the batch were in one process.

Each process draws for the whole batch, from generators that are in the same state in all of them
and stay so, and keeps what belongs to its share. A draw is of one of two kinds:

- a tensor whose first axis runs over samples (or over parts of samples, sample by sample) is drawn
  whole, and cut;
- ``random_``, by which ``geocore.models.dropout.keep_mask`` draws 16 bits a number, takes numbers
  from the CPU's generator one by one, all of a layer's first sample, then of the second, and so on,
  whatever the chunks: what the other samples would take before and after is passed over.

Only attention dropout in the fused kernels of a GPU draws inside of them: of the share alone, by a
seed of its own, so that there another number of processes draws otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from geocore.errors import UserError

__all__ = ["Noise"]

_AT_ONCE = 1 << 20  # numbers that are passed over together

# What also draws, and what no network of ours calls in training: refused, because it would give
# the first sample of each share the same numbers.
_OTHERS: frozenset[Callable[..., Any]] = frozenset(
    {
        torch.rand, torch.randn, torch.randint, torch.rand_like, torch.randn_like,
        torch.randint_like, torch.bernoulli, torch.normal, torch.multinomial, torch.poisson,
        Tensor.uniform_, Tensor.normal_, Tensor.exponential_, Tensor.geometric_, Tensor.cauchy_,
        Tensor.log_normal_, Tensor.bernoulli, Tensor.multinomial,
        F.alpha_dropout, F.feature_alpha_dropout, F.dropout1d, F.dropout2d, F.dropout3d,
        F.gumbel_softmax, F.rrelu, F.multi_head_attention_forward,
    }
)  # fmt: skip


class Noise:
    """The draws of ``model``'s dropout for the samples ``start`` to ``stop`` of ``whole``.

    ``instead(func)`` is what to call for a function that draws, or None for one that does not;
    ``mode`` asks it of each function of torch. Steps are taken within ``learned``.
    """

    def __init__(self, model: nn.Module, mode: TorchFunctionMode) -> None:
        self.model, self._mode = model, mode
        self.backward = False  # autograd switches modes off, and a checkpoint draws again there
        self.start, self.stop, self.whole = 0, 1, 1
        self._taken: dict[nn.Module, int] = {}  # numbers that a layer takes for a sample, each time
        self._learned: dict[nn.Module, set[int]] = {}
        self._inside: list[tuple[nn.Module, list[int]]] = []  # with what they have taken so far
        self._learning = self._passing = False
        self._entries = 0  # into layers that draw, on the way back

    def instead(self, func: Callable[..., Any]) -> Callable[..., Any] | None:
        """What draws for the whole batch and gives the share's part, in place of ``func``."""
        if func is F.dropout:
            return self._dropout
        if func is Tensor.bernoulli_:
            return self._bernoulli
        if func is Tensor.random_:
            return self._random
        if func is F.scaled_dot_product_attention:
            return self._attention
        if func in _OTHERS and self.model.training and not self._learning:
            return _refused(func)
        return None

    @contextmanager
    def learned(self, images: Tensor) -> Iterator[None]:
        """Learn from one sample, ``images``, which layers draw, and how much a sample takes.

        Raises ``UserError`` for a layer that does not draw for one sample after the other.
        """
        # A draw is four numbers: four samples have as many as four times one, unless they share.
        one, four = (self._rehearse(images.expand(n, *images.shape[1:])) for n in (1, 4))
        for module, counts in one.items():
            within = any(max(one.get(m, {0})) for m in module.modules() if m is not module)
            if len(counts) > 1 or four[module] != {4 * min(counts)} or (within and max(counts)):
                raise UserError(
                    f"dropout of {_name(self.model, module)} does not draw sample by sample; "
                    "expected a training by one process, or without dropout"
                )
        self._taken = {module: min(counts) for module, counts in one.items()}
        handles = []
        for module in self._taken:
            handles.append(module.register_forward_pre_hook(self._before))
            handles.append(module.register_forward_hook(self._after, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _rehearse(self, images: Tensor) -> dict[nn.Module, set[int]]:
        self._learned, self._learning = {}, True
        self.start, self.stop, self.whole = 0, len(images), len(images)
        training = self.model.training
        handles = []
        for module in self.model.modules():
            handles.append(module.register_forward_pre_hook(self._entered))
            handles.append(module.register_forward_hook(self._left))
        devices = [images.device] if images.is_cuda else []
        try:
            self.model.train()
            with torch.random.fork_rng(devices), torch.no_grad(), self._mode:
                self.model(images)
        finally:
            self.model.train(training)
            self._learning = False
            for handle in handles:
                handle.remove()
        return self._learned

    def _entered(self, module: nn.Module, given: object) -> None:
        del given
        self._inside.append((module, []))

    def _left(self, module: nn.Module, given: object, out: object) -> None:
        del given, out
        _, taken = self._inside.pop()
        if taken:
            self._learned.setdefault(module, set()).add(sum(taken))

    def _before(self, module: nn.Module, given: object) -> None:
        del given
        if module.training:
            self._pass_over(self.start * self._taken[module])
        if self.backward:
            if not self._entries:
                self._mode.__enter__()
            self._entries += 1

    def _after(self, module: nn.Module, given: object, out: object) -> None:
        del given, out
        if self.backward:
            self._entries -= 1
            if not self._entries:
                self._mode.__exit__(None, None, None)
        if module.training:
            self._pass_over((self.whole - self.stop) * self._taken[module])

    def _pass_over(self, numbers: int) -> None:
        self._passing = True
        try:
            for first in range(0, numbers, _AT_ONCE):
                passed = torch.empty(min(_AT_ONCE, numbers - first), dtype=torch.int64)
                passed.random_(-(2**63), None)
        finally:
            self._passing = False

    def _random(self, drawn: Tensor, *arguments: Any, **words: Any) -> Tensor:
        self._note(drawn.numel())
        known = drawn.is_cpu and (self._learning or self._passing or self._taken)
        if not known:
            raise RuntimeError("random_ outside of a layer that was learned; expected none")
        return drawn.random_(*arguments, **words)

    def _note(self, numbers: int) -> None:
        if self._learning:
            self._inside[-1][1].append(numbers)

    def _bernoulli(self, drawn: Tensor, *arguments: Any, **words: Any) -> Tensor:
        self._note(0)
        whole = drawn.new_empty(self._whole_shape(drawn)).bernoulli_(*arguments, **words)
        return drawn.copy_(self._own(whole, drawn))

    def _dropout(
        self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0:
            return F.dropout(x, p, training, inplace)
        self._note(0)
        whole = F.dropout(x.new_ones(self._whole_shape(x)), p)
        factor = self._own(whole, x)
        return x.mul_(factor) if inplace else x * factor

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        *arguments: Any,
        **words: Any,
    ) -> Tensor:
        given = (query, key, value, attn_mask, dropout_p, *arguments)
        if not dropout_p:
            return F.scaled_dot_product_attention(*given, **words)
        self._note(0)
        seed = int(torch.randint(2**62, ())) + self.start
        with torch.random.fork_rng([query.device] if query.is_cuda else []):
            torch.manual_seed(seed)
            return F.scaled_dot_product_attention(*given, **words)

    def _whole_shape(self, x: Tensor) -> tuple[int, ...]:
        samples = self.stop - self.start
        if x.ndim == 0 or len(x) % samples:
            raise RuntimeError(
                f"dropout of shape {tuple(x.shape)} of {samples} samples; expected samples first"
            )
        return (len(x) // samples * self.whole, *x.shape[1:])

    def _own(self, whole: Tensor, x: Tensor) -> Tensor:
        parts = len(x) // (self.stop - self.start)
        return whole[self.start * parts : self.stop * parts]


def _refused(func: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError(
            f"{func.__name__} would draw the same for each process; "
            "expected what geocore.train.noise knows"
        )

    return refuse


def _name(model: nn.Module, wanted: nn.Module) -> str:
    found = next(name for name, module in model.named_modules() if module is wanted)
    return found or "the network"
