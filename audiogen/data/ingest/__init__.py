"""Note sets from a folder of samples: search, segmentation, labels and report."""
