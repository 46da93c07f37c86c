"""Is float32 as fast on this processor as it could be? The products that transformers consist of.

Run:  OMP_NUM_THREADS=1 python bench/products.py

Compares torch's own product (MKL's, in its wheels for x86), the same by oneDNN, and NumPy's
(OpenBLAS), for a layer of Whisper-tiny on 16 clips of 4 s. Least of 20 times, in processor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

N_FRAMES, N_IN, N_OUT = 3200, 384, 1536


def rate(product: Callable[[], object]) -> float:
    """Return billions of operations a second."""
    product()
    seconds = []
    for _ in range(20):
        started = time.process_time()
        product()
        seconds.append(time.process_time() - started)
    return 2 * N_FRAMES * N_IN * N_OUT / min(seconds) / 1e9


def main() -> None:
    torch.set_num_threads(1)
    frames, weight, bias = torch.randn(N_FRAMES, N_IN), torch.randn(N_OUT, N_IN), torch.zeros(N_OUT)
    one_dnn = torch.ops.mkldnn._linear_pointwise
    print(f"torch:  {rate(lambda: torch.nn.functional.linear(frames, weight, bias)):.0f}")
    print(f"oneDNN: {rate(lambda: one_dnn(frames, weight, bias, 'none', [], '')):.0f}")
    print(f"NumPy:  {rate(lambda: frames.numpy() @ weight.numpy().T):.0f}")


if __name__ == "__main__":
    main()
