"""Time-LLM: forecasting with a frozen language model whose input patches are reprogrammed into text prototypes."""

__version__ = "0.1.0"
