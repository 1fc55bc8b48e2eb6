"""H-Index: entities, their visibility and types generated as indexes, with a region each (Wang et al., ACL 2023)."""
