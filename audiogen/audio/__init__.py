"""Sound files, resampling, pitch trackers and plots."""
