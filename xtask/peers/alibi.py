"""alibi-detect's ModelDistillation.fit, driven by `cargo xtask bench training --peers` as lines.py says.

It runs in an environment of its own (alibi-requirements.txt): alibi-detect needs an older numpy than the other peers. A question is {"peer", "network",
"batch", "seconds"}, the network always distilled. The fit passes every batch through the classifier too, as it does for its users.
"""

import os

from lines import THREADS, rate, serve

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np

from training import classifier, distilled

BATCHES = 4


class Alibi:
    def __init__(self):
        import alibi_detect
        import tensorflow as tf
        import tf_keras
        from alibi_detect.ad import ModelDistillation

        self.version = alibi_detect.__version__
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        self.detector = ModelDistillation(
            threshold=0.0, model=classifier(tf_keras), distilled_model=distilled(tf_keras)
        )

    def runner(self, batch):
        images = np.random.default_rng(batch).normal(size=(BATCHES * batch, 32, 32, 3)).astype(np.float32)
        return lambda: self.detector.fit(images, epochs=1, batch_size=batch, verbose=False)


def answer(peer, ask):
    return {"images_per_second": rate(peer.runner(ask["batch"]), BATCHES * ask["batch"], ask["seconds"])}


serve({"alibi-detect's fit": Alibi}, answer)
