"""Names of the files that a run of Time-LLM keeps beside its weights.

They stand in a module that imports nothing: who reads them needs no language model, nor the libraries of one.
"""

PROTOTYPES, WORDS = "prototypes.safetensors", "words.json"
