"""What every package stands on: types, errors, media, faces, data sets, statistics, workers, weights, plugins and configuration."""
