"""Validated parameters: ``params.yaml`` as frozen models, one file a section."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "section": ["Section"],
        "load": ["read_sections", "leaves"],
        "data": ["DataParams"],
        "project": ["ProjectParams"],
        "resample": ["ResampleParams"],
        "model": ["ModelParams"],
        "train": ["TrainParams"],
        "ensemble": ["EnsembleParams"],
        "ntk": ["NtkParams"],
        "synthesize": ["SynthesizeParams"],
        "evaluate": ["EvaluateParams"],
        "gate": ["GateParams"],
        "runtime": ["RuntimeParams"],
        "presets": ["read_presets"],
    },
)
