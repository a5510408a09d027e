"""The dashboard: the only place that imports Streamlit."""

import logging

# Caches are declared before the server runs, which is meant: modules are loaded beforehand so
# that the first visitor does not wait for them.
logging.getLogger("streamlit.runtime.caching.cache_data_api").addFilter(
    lambda record: not record.getMessage().startswith("No runtime found")
)
