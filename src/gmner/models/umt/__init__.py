"""UMT, the Unified Multimodal Transformer for named entity recognition (Yu et al., ACL 2020; specs/umt.md)."""
