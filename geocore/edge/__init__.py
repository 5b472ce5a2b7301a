"""From a network to a chip: quantisation, firmware by hls4ml, Verilog and its netlist."""

from geocore._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "fixedpoint": ["FixedPoint"],
        "street_cnn": ["StreetCnn"],
        "description": ["QuantisedModel"],
        "tracing": ["trace"],
        "quantised": ["Bits", "QuantisedNetwork"],
        "reference": ["reference_logits"],
        "qonnx_file": ["write_qonnx"],
        "firmware": ["FirmwareOptions", "write_firmware"],
        "compiled": ["CompiledFirmware", "compile_firmware"],
        "verilog": ["write_verilog"],
        "simulation": ["build_simulator"],
    },
)
