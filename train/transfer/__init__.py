"""A trained network in another region: fine-tuning and adversarial adaptation."""
