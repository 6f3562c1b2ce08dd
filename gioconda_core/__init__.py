"""The ground floor: types, errors, media, faces, weights, plugins and configuration, imported by everything above."""
