"""Where the parts of the package lie; everything else about it is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    # `streamlit run app.py` needs the pages where they are; an installed package carries them as `timellm.app`.
    packages=[*find_packages(include=["timellm*"]), "timellm.app", "timellm.app.pages"],
    package_dir={"timellm.app": ".", "timellm.app.pages": "pages"},
    package_data={
        "timellm": ["py.typed"],
        "timellm.app": [".streamlit/config.toml"],
        "timellm.data.samples": ["*.csv", "*.json"],
        "timellm.protocols": ["*.json"],
        "timellm.ui": ["icon.png"],
    },
)
