"""The ridge: one linear map from context to horizon, found in closed form.

`limits` says how much is read, `features` cuts windows into features, `solve` finds maps, `choice` decides what a map
should know, and `forecaster` is what runs use.
"""
