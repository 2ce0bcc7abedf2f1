import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { isInside, PERIMETER_DEFAULTS, perimeterFields } from '../../shared/perimeter.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.geo.TbGpsGeofencingFilterNode',
  version: 0,
  family: 'FILTER',
  label: 'gps geofencing filter',
  summary: 'True when the coordinates of the message are inside a perimeter. Its border is outside.',
  relations: ['True', 'False'],
  config: Config(perimeterFields),
  defaults: { ...PERIMETER_DEFAULTS },
  process: (message, { config }) => (isInside(message, config) ? 'True' : 'False'),
});
