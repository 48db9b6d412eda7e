"""PyTorch's forward pass of timm's networks, in a process of `$TORCH_PYTHON`, an interpreter that has both."""

import os
import subprocess


class Torch:
    """An eager network of timm with random weights, that passes batches of random images when it is called."""

    CODE = """
import sys, time, timm, torch
model, pixels, batch_size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
network = timm.create_model(model).eval()
images = torch.rand(batch_size, 3, pixels, pixels)
with torch.no_grad():
    for line in sys.stdin:
        for _ in range(int(line)):
            network(images)
        print("done", flush=True)
"""

    def __init__(self, model: str, pixels: int, batch_size: int):
        command = [os.environ["TORCH_PYTHON"], "-c", self.CODE, model, str(pixels), str(batch_size)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, batches: int) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{batches}\n")
        self.process.stdin.flush()
        if not self.process.stdout.readline():
            raise ChildProcessError("PyTorch's process ended; see its message above.")

    def close(self) -> None:
        self.process.communicate()
