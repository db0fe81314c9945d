"""See inside latent-variable models of images, from PCA to the variational autoencoder."""
