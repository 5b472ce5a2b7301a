"""From a network to a chip: quantisation, QONNX, firmware by hls4ml, bit-exact prediction."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "fixedpoint": ["FixedPoint"],
        "student": ["Student", "build_student"],
        "nodes": ["Add", "Concatenate", "Convolution", "Dense", "MaxPool", "Upsample"],
        "description": ["QuantisedModel"],
        "quantised": ["Bits", "QuantisedStudent"],
        "reference": ["reference_logits"],
        "qonnx_file": ["write_qonnx"],
        "firmware": ["FirmwareOptions", "write_firmware"],
        "compiled": ["CompiledFirmware", "compile_firmware"],
        "tools": ["require_tools"],
    },
)
