"""What every package stands on: types, errors, media, faces, data sets, statistics, workers, weights, plugins and configuration."""

from gioconda_core.offline import switch_off as _switch_off

_switch_off()
