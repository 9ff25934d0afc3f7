"""Trains a small classifier in PyTorch on a folder with one folder per class, and exports it as ONNX.

    python train_classifier.py training classifier.onnx [EPOCHS]

Needs torch, torchvision, onnx and onnxscript.
"""

import sys

import torch
from torch import nn
from torchvision import datasets, transforms


def block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)
    )


def main(folder, out, epochs=6):
    torch.manual_seed(0)
    # ToTensor() is byte / 255 and no more: `--preprocessing none`.
    pictures = datasets.ImageFolder(folder, transforms.ToTensor())
    batches = torch.utils.data.DataLoader(pictures, batch_size=128, shuffle=True)
    model = nn.Sequential(
        block(3, 32), block(32, 64), block(64, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, len(pictures.classes))
    )
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, epochs * len(batches))
    for epoch in range(epochs):
        right = 0
        for images, labels in batches:
            answers = model(images)
            loss = nn.functional.cross_entropy(answers, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            right += (answers.argmax(1) == labels).sum().item()
        print(f"epoch {epoch + 1}: {100 * right / len(pictures):.1f} % right", flush=True)
    model.eval()
    example = pictures[0][0][None]
    torch.onnx.export(model, (example,), out, verbose=False)
    print(f"{out}: classes {','.join(pictures.classes)}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:4]))
