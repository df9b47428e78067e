"""The mean and deviation of ImageNet's pictures, RGB, of values 0 to 1: how the network's images are normalised."""

MEAN_RGB = (0.485, 0.456, 0.406)
DEVIATION_RGB = (0.229, 0.224, 0.225)
