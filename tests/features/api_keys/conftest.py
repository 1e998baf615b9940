from tests.features.api_keys.tools import make_site as make_site
from tests.features.api_keys.tools import site as site
