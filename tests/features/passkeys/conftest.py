from tests.opted_in import make_site as make_site
from tests.opted_in import site as site
