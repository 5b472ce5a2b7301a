"""The body of each stage: typed inputs -> geocore -> typed outputs."""
