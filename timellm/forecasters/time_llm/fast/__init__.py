"""Code that is fast and not plain, all of it in this room.

The setting `fast_code` (on) decides whether a CPU uses it; without it, Transformers and PyTorch run as they come, and
forecasts, losses and gradients are the same but for rounding (tests/forecasters/time_llm/test_fast_code.py).

    attention   the backbone's attention as three matrix products: the library's kernel takes five times longer backward
    lean        norms, gated MLPs and rotary attention of Llama and Qwen2 in fewer passes; replaces a module's class
    rotary      the gradient of that attention, by hand; calls torch._softmax_backward_data, the one pass that
                autograd's own softmax makes, which torch does not promise to keep
    dropout     attention with dropout in few passes, with sixteen random bits a weight
    denormals   numbers below 1e-38 count as zero, in the whole process

Two more modules change classes or private fields of a library, but for exactness and not for speed. They work with
either setting:

    int8            8-bit layers multiply with their dequantised weights, so that no forecast depends on its batch
    checkpointing   a layer runs again for its gradient, and finds its prompt as it was; sets transformers'
                    `_can_checkpoint_with_cache` and `_gradient_checkpointing_func`
"""
