"""The reference: what each method of a backend computes, on array-API arrays."""
