"""Domains: notes of independent sound banks, and judges that are accurate on unseen banks.

The protocol is DomainBed's (Gulrajani and Lopez-Paz, "In Search of Lost Domain Generalization",
ICLR 2021): algorithms, random hyperparameters, and three rules that select among the runs.
"""
