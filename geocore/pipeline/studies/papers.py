"""The fifteen published systems that this project sets out to realise, in the design's order."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PAPERS", "Paper"]


@dataclass(frozen=True)
class Paper:
    """One of the fifteen: the name of its study's folder, its title, its number at arXiv."""

    name: str
    title: str
    arxiv: str


PAPERS = (
    Paper("heal_swin", "HEAL-SWIN: a vision transformer on the sphere", "2307.07313"),
    Paper(
        "equivariance_vs_augmentation",
        "Equivariance versus augmentation for spherical images",
        "2202.03990",
    ),
    Paper(
        "geometric_survey",
        "Geometric deep learning and equivariant neural networks",
        "2105.13926",
    ),
    Paper("emergent_equivariance", "Emergent equivariance in deep ensembles", "2403.03103"),
    Paper("equivariant_ntk", "Equivariant neural tangent kernels", "2406.06504"),
    Paper(
        "stochastic_ensembles",
        "Bayesian posterior approximation with stochastic ensembles",
        "2212.08123",
    ),
    Paper("posterior", "Looking at the posterior", "2211.14605"),
    Paper(
        "lora_ensembles",
        "Uncertainty quantification in fine-tuned LLMs using LoRA ensembles",
        "2402.12264",
    ),
    Paper("lyapunov", "Finite-time Lyapunov exponents of deep neural networks", "2306.12548"),
    Paper("counterfactuals", "Diffeomorphic counterfactuals with generative models", "2206.05075"),
    Paper(
        "lattice_gauge",
        "Geometrical aspects of lattice gauge equivariant CNNs",
        "2303.11448",
    ),
    Paper("homogeneous_bundles", "Homogeneous vector bundles and G-equivariant CNNs", "2105.05400"),
    Paper(
        "manifold_node",
        "Equivariant manifold neural ODEs and differential invariants",
        "2401.14131",
    ),
    Paper("fpga_cnn", "Fast convolutional neural networks on FPGAs with hls4ml", "2101.05108"),
    Paper(
        "fpga_segmentation",
        "Real-time semantic segmentation on FPGAs for autonomous vehicles with hls4ml",
        "2205.07690",
    ),
)
