"""WHAT is optimized: one task = one file, grouped by the world it lives in; `harness` measures."""
