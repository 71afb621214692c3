"""The quantization receipt: memory, time and error of one backbone in float32, bfloat16, 8 and 4 bit, here.

`measure_receipt` starts a fresh process (`worker`) for each precision and returns a `Receipt`; `verdict` sums its
numbers up in a sentence. Importing this is cheap: only the worker loads torch.
"""

from timellm.sizing.receipt.contents import Machine, Receipt, ReceiptRow
from timellm.sizing.receipt.measure import measure_receipt
from timellm.sizing.receipt.verdict import verdict

__all__ = ["Machine", "Receipt", "ReceiptRow", "measure_receipt", "verdict"]
