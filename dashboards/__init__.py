"""The dashboard: the only place that imports Streamlit."""

import logging

from streamlit.logger import get_logger

# Caches are declared before the server runs, which is meant: modules are loaded beforehand so
# that the first visitor does not wait for them.
get_logger("streamlit.runtime.caching.cache_data_api").setLevel(logging.ERROR)
