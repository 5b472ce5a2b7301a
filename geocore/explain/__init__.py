"""Why networks decide: how they stretch the space of their inputs."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "hidden": ["HiddenMap"],
        "chain": ["chain_jacobian", "linear_gaussian_exponent"],
        "lyapunov": ["Exponents", "growth", "jacobian", "lyapunov_exponents"],
        "section": ["ExponentField", "Section", "exponent_field"],
        "ridges": ["Ridges", "find_ridges"],
    },
)
