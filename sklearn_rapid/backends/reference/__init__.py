"""The reference backend, on array-API arrays: it defines what each method computes."""
