"""A recipe of two small regions out of one generated set."""

RECIPE = """
description: two regions for tests
source: made up
regions:
  - name: first place
    data: synthetic_landslides/tiny
    ids: ["region0_*_000?"]
    rounds: 0
  - name: NAD
    data: synthetic_landslides/tiny
    ids: ["region0_*_001?"]
    rounds: 1
data: {image: [red, green, blue], size: 16}
model:
  variant: code
  inputs: post
  trunk_filters: [4, 4]
  decoder_filters: [4, 8]
  bn_momentum: 0.9
base: {epochs: 3, learning_rate: 0.003}
warmup: {epochs: 2, learning_rate: 0.003}
joint: {epochs: 2, learning_rate: 0.001}
training: {batch_size: 4, threads: 1, save_steps: 1}
"""
