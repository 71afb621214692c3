"""The setting of the kinds that give quantiles of their own."""

from __future__ import annotations

from pydantic import field_validator

from timellm.config.section import ForecasterConfig, setting

LEAST_QUANTILE, MOST_QUANTILE, MOST_QUANTILES = 0.01, 0.99, 19


class QuantileConfig(ForecasterConfig):
    """What kinds share whose models can give quantiles."""

    quantiles: tuple[float, ...] = setting((), title="Own quantiles")
    """Levels at which the model gives quantiles of its own, such as 0.1,0.5,0.9; bands are then made of these, widened
    or narrowed by the errors on the validation part. Empty: bands are made of those errors alone. A network learns them
    with the pinball loss beside its forecast, and each level makes its last layer larger; those of Time-LLM need the
    language model for every window, also where its forecast is that of the ridge. A model that was trained elsewhere
    has certain levels to choose from."""

    @field_validator("quantiles")
    @classmethod
    def _quantiles_make_bands(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        found = tuple(sorted(set(levels)))
        if not found:
            return ()
        if found[0] < LEAST_QUANTILE or found[-1] > MOST_QUANTILE:
            raise ValueError(f"give shares from {LEAST_QUANTILE} to {MOST_QUANTILE}, such as 0.1,0.5,0.9")
        if not found[0] < 0.5 < found[-1]:
            raise ValueError("a band has two ends: give a level below 0.5 and one above it, such as 0.1,0.9")
        if len(found) > MOST_QUANTILES:
            raise ValueError(f"give at most {MOST_QUANTILES} levels")
        return found
