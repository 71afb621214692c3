"""The quantization receipt: what float32, bfloat16, 8 bit and 4 bit of one backbone cost and how true they are, here.

`measure_receipt` starts a fresh process (`worker`) for each precision and gives a `Receipt`; `verdict` puts its numbers
into a sentence. Importing this is cheap: only the worker loads torch.
"""

from timellm.training.receipt.contents import Machine, Receipt, ReceiptRow
from timellm.training.receipt.measure import measure_receipt
from timellm.training.receipt.verdict import verdict

__all__ = ["Machine", "Receipt", "ReceiptRow", "measure_receipt", "verdict"]
