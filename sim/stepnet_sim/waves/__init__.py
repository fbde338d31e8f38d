"""Records what one image does to the chip: every signal, and what it means in the network's words.

`waves` is what `stepnet infer --waves` and `--schedule` call. `chip` runs the chip, `recording` and
`fst` hold and write its signals, `account` says what they mean, and `schedule` draws that.
"""
