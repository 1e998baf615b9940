from tests.features.magic_link.tools import make_site as make_site
from tests.features.magic_link.tools import site as site
