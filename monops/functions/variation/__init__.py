"""Total variation: exact in one dimension and on trees, certified on grids and graphs."""
