"""What the settings of linear maps can be; the ridge has them, and Time-LLM for its linear path."""

from __future__ import annotations

from typing import Literal

LinearFeatures = Literal["plain", "level", "calendar"]
LinearMaps = Literal["shared", "by_channel"]
AskedFeatures = Literal["plain", "level", "calendar", "auto"]
LinearPenalty = Literal["even", "by_age"]
AskedMaps = Literal["shared", "by_channel", "auto"]
LinearFallback = Literal["mean", "last", "rule"]
AskedFallback = Literal["mean", "last", "rule", "auto"]
AskedOthers = Literal["none", "recent", "auto"]
