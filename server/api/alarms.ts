/** `GET /v1/learning/alarms` and `POST /v1/learning/alarms/ORDINAL/clear`: what was seen to change, and that somebody has seen to it. */
import type { FastifyInstance } from 'fastify';
import { RoutingError } from '../../datasets/index.ts';
import { demand } from '../callers.ts';
import { alarmText, clearAlarm, listAlarms } from '../drift/alarms.ts';
import type { Gateway } from '../gateway.ts';
import { sqlStoreOf } from './log-owner.ts';

const SHOWN = 100;

export function alarmsRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.get('/v1/learning/alarms', async ({ caller }) => {
    demand(caller, 'learn');
    const alarms = await listAlarms(sqlStoreOf(gateway.store), { limit: SHOWN });
    return { alarms: alarms.map((alarm) => ({ ...alarm, text: alarmText(alarm) })) };
  });

  app.post<{ Params: { ordinal: string } }>('/v1/learning/alarms/:ordinal/clear', async ({ caller, params }) => {
    demand(caller, 'learn');
    const ordinal = /^\d{1,15}$/.test(params.ordinal) ? Number(params.ordinal) : Number.NaN;
    if (Number.isNaN(ordinal) || !(await clearAlarm(sqlStoreOf(gateway.store), ordinal))) {
      throw new RoutingError('NOT_FOUND', 'no open alarm of that number; GET /v1/learning/alarms lists them');
    }
    return { ordinal, cleared: true };
  });
}
