# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Harmful drift, harmless drift
#
# Corruptions of images drift the data. Some of them make a classifier answer wrongly, and some do not. A drift detector that is used on images alarms at both. The
# score of model distillation tells them apart: how far the answer of a small distilled network lies from the classifier's.
#
# This notebook repeats the published experiment on generated images, with the networks that ship with Riptide. Run it from the repository's
# `crates/python/examples`, or give other networks.

# %%
import numpy as np
import matplotlib.pyplot as plt
import riptide_drift as rd

networks = "../../pretrained/networks/shapes"
images, labels, names = rd.shapes(2000, test=True)
names

# %% [markdown]
# ## Corrupted images
#
# Of each corruption, we keep the images that the classifier gets right when they are clean. Those that it then gets wrong are *harmful*; those that it still gets right are
# *harmless*.

# %%
monitor = rd.Monitor.from_networks(f"{networks}/classifier", f"{networks}/distilled", images[:1000], class_names=names, calibration=False)
clean = monitor.score(images)
print(f"accuracy on clean images: {(clean.predictions == labels).mean():.3f}")

corruptions = ["gaussian_noise", "motion_blur", "brightness", "pixelate"]
severity = 3
harmful, harmless = [], []
for name in corruptions:
    found = monitor.score(rd.corrupt(images, name, severity))
    was_right, is_right = clean.predictions == labels, found.predictions == labels
    harmful.append(found.scores[was_right & ~is_right])
    harmless.append(found.scores[was_right & is_right])
    print(f"{name:15} accuracy {is_right.mean():.3f}, mean score {harmful[-1].mean():.2f} harmful, {harmless[-1].mean():.2f} harmless")
harmful, harmless = np.concatenate(harmful), np.concatenate(harmless)

# %% [markdown]
# ## How much of a batch has to be harmful?
#
# Batches of 100 images, a part of which is corrupted, against a reference of 1,000 clean images: the p-value of the Kolmogorov-Smirnov test of the scores, for a share of
# 0 to 90 % of harmful or of harmless images.

# %%
random = np.random.default_rng(0)
drift = rd.KSDrift(monitor.reference_scores)
pool = clean.scores[1000:]
shares = np.arange(0, 100, 10)


def p_values(corrupted, share, repeats=50):
    for _ in range(repeats):
        batch = np.concatenate([random.choice(corrupted, share, replace=False), random.choice(pool, 100 - share, replace=False)])
        yield drift.predict(batch)["data"]["p_val"][0]


mean = {kind: [np.mean(list(p_values(scores, share))) for share in shares] for kind, scores in [("harmful", harmful), ("harmless", harmless)]}
figure, axes = plt.subplots(figsize=(7, 4))
for kind, colour in [("harmful", "tab:orange"), ("harmless", "tab:blue")]:
    axes.plot(shares, mean[kind], "o-", color=colour, label=kind)
axes.axhline(0.05, color="grey", linestyle="--", label="level")
axes.set(xlabel="corrupted images in the batch (%)", ylabel="mean p-value")
axes.legend()
figure.savefig("p-values.svg")

# %%
assert mean["harmful"][5] < 0.05 < mean["harmless"][5]

# %% [markdown]
# ## The most harmful images

# %%
monitor.explain(rd.corrupt(images[1000:1400], "gaussian_noise", 4), n_images=12)
