"""From finished cells to tidy tables: collected, scored, checked, and held against the papers' claims.

Every table's columns, types and meaning stand in `workflow/schemas/tables/<table>.yaml`; each is checked against its
schema before it is written.
"""
