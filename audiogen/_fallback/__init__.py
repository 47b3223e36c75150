"""The surface of `audiogen._native` in Python and numba, for machines without a C++ compiler."""
