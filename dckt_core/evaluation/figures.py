"""What the figures of retrieval by instance are called everywhere. No torch in here."""

RECALLS_AT = (1, 5, 10)
MRR, MEDIAN_RANK = "mrr", "median_rank"
FIGURES = {f"recall_at_{k}": f"recall@{k}" for k in RECALLS_AT} | {MEDIAN_RANK: "median rank", MRR: "MRR"}
"""By their names in data, what people read."""
