"""Entry point: `streamlit run app.py` serves the workbench.

The script that Streamlit runs is `pages/frame.py`, not this file. Beside a folder named `pages`, Streamlit would take a
shared link to a screen, opened before anything else, for a page of its older kind and run it without navigation.
"""

import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from timellm.errors import TimeLLMError
from timellm.ui.export_route import routes
from timellm.ui.garbage import libraries
from timellm.ui.headers import SecurityHeaders
from timellm.ui.hosts import HostCheck, listed_hosts, tell_who_reaches_this_server

try:
    hosts = listed_hosts()
except TimeLLMError as error:
    sys.exit(f"error: {error}")
tell_who_reaches_this_server(hosts)

app = st.App(
    Path(__file__).parent / "pages" / "frame.py",
    routes=routes(),
    middleware=[Middleware(SecurityHeaders), Middleware(HostCheck, listed=hosts)],
)
libraries.set_aside()
