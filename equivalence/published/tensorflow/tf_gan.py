"""TF-GAN, which needs what TensorFlow has no more."""

from equivalence.published.package import Package

PACKAGE = Package(
    "tensorflow-gan",
    "2.1.0",
    ("tensorflow_gan",),
    refused="needs tf.estimator, which TensorFlow 2.16 took away",
)
