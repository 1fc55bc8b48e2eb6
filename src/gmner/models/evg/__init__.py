"""EVG, entity-aware visual grounding: which candidate region shows an entity, if any (specs/evg_baselines.md)."""
