"""What leaves dckt: a common space for ONNX and for numpy, embeddings for Parquet and Faiss, a run as a model card."""
